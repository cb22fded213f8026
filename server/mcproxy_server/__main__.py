"""The program `mcproxy-server`, also as `python -m mcproxy_server`."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line, or say in one line which packages it lacks."""
    try:
        from mcproxy_server import cli
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("mcproxy"):
            raise
        sys.exit(
            f"mcproxy-server: the package {error.name} is missing; install the extra [server], "
            "in the checkout with: pip install '.[server]'"
        )
    cli.main()


if __name__ == "__main__":
    main()
