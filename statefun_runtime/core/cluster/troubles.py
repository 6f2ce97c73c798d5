"""What goes wrong between workers, and with who leads them."""

from statefun_runtime.errors import UnavailableError


def channel_broken(what: str) -> UnavailableError:
    """Return the error of a channel between two workers that cannot be gone on with."""
    return UnavailableError(what, code="SF3060")


def beginning_again(why: str = "the workers begin again") -> UnavailableError:
    """Return the error of what is asked while there are no workers, or no more."""
    return UnavailableError(why, code="SF3061", hint="the same again in a moment may work")


def worker_lost(what: str) -> UnavailableError:
    """Return the error of a plan that has lost one of its workers, or cannot get one."""
    return UnavailableError(what, code="SF3062")


def no_leader(why: str) -> UnavailableError:
    """Return the error of what is asked of a cluster that nobody leads now."""
    return UnavailableError(why, code="SF3064", hint="the same again in a moment may work")


def results_away(why: str) -> UnavailableError:
    """Return the error of a request for results that only one worker of a cluster has, and that it does not answer."""
    return UnavailableError(why, code="SF3065", hint="the same again in a moment may work")
