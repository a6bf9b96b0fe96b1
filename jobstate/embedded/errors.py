"""What can go wrong with a local server."""

from jobstate.errors import JobStateError


class EmbeddedError(JobStateError):
    """A local server is not installed, did not start, did not stop, or is used wrongly."""
