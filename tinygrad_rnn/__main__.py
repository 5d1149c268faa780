"""`python -m tinygrad_rnn` is the command `tinygrad-rnn`."""

from tinygrad_rnn_start import main

raise SystemExit(main())
