"""`python -m stemma_portal COMMAND`: Django's management commands for the portal."""

import os
import sys


def main() -> None:
    """Run one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stemma_portal.config.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line([f"{sys.executable} -m stemma_portal", *sys.argv[1:]])


if __name__ == "__main__":
    main()
