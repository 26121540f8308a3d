"""The one exception that means: the user has something to do."""


class UserError(Exception):
    """Bad input from outside (a file, a setting, a missing weight), told in one clear sentence.

    The command line prints the message and exits with status 2; library callers may catch it.
    """
