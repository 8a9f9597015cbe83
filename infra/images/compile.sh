#!/bin/sh
# Bytecode that holds whatever time its source bears: compile.sh FOLDER
# Builds that set all times alike make every other kind stale, and each start of a process would compile all that it
# imports, for nothing, since the file system is read-only.  A few packages carry files that no Python 3 can read.
python3 -m compileall -qq -f -j 0 --invalidation-mode unchecked-hash "$1" || true
