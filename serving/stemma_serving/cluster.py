"""Where a Serve config file on a cluster begins: `import_path: stemma_serving.cluster:application`.

Its `args` are those of `serving.toml`, checked by the same types.  (No postponed annotations here: Ray
reads the type of the argument from the function itself.)
"""

from ray import serve

from stemma_serving import app
from stemma_serving.config import ServingConfig


def application(args: ServingConfig) -> serve.Application:
    """The application as configured; an unknown key or a value that cannot be fails the deployment by name."""
    return app.build(args)
