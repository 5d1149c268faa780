"""The command `tinygrad-rnn`."""
