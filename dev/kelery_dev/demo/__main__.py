"""`python -m kelery_dev.demo`, the command of `make demo`."""

import sys

from kelery_dev.demo.demo import main

if __name__ == "__main__":
    sys.exit(main())
