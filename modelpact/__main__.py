"""`python -m modelpact`."""

import sys

from modelpact.cli import main

sys.exit(main())
