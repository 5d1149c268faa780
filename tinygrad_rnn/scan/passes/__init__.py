"""The passes of the compiler: each takes a step and gives a step, or a schedule, that can be printed."""
