"""``python -m fststyle`` is the ``fststyle`` program."""

import sys

from fststyle.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
