"""Building blocks of machine code: emitters that add LLVM IR to a module, and its compilation for a machine."""
