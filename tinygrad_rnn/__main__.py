"""`python -m tinygrad_rnn` is the command `tinygrad-rnn`."""

from .cli.main import main

raise SystemExit(main())
