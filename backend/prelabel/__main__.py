"""``python -m prelabel`` is the command ``prelabel``."""

from prelabel.cli import main

if __name__ == "__main__":
    main()
