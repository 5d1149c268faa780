"""`python -m tinygrad_rnn` is the command `tinygrad-rnn`."""

from .cli.start import main

raise SystemExit(main())
