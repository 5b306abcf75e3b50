"""`python -m a3lib`: the doctor."""

import sys

from a3lib.page.doctor import main

if __name__ == "__main__":
    sys.exit(main())
