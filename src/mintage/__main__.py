"""`python -m mintage`: the same as the command `mintage`."""

from mintage.cli import main

main()
