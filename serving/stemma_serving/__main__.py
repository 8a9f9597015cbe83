"""`python -m stemma_serving`: one foreground process, ended with SIGTERM or Ctrl-C."""

import sys

from stemma_serving.runtime import main

sys.exit(main())
