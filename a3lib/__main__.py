"""`python -m a3lib`: the doctor."""

import sys

from a3lib.page.doctor import main

sys.exit(main())
