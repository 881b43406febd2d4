"""`python -m teachwhy`."""

from teachwhy.cli import main

main()
