"""`python -m kelery_dev.demo`: what `make demo` runs."""

import sys

from kelery_dev.demo.demo import main

if __name__ == "__main__":
    sys.exit(main())
