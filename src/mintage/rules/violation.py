"""The one exception of the rules: what is wrong, and what would be right.

Nothing here knows about HTTP: the doors turn a violation into their own error.
"""


class RuleViolation(ValueError):
    """A value that a rule refuses.

    `problem` says what is wrong with the value, `hint` what would be right; both are
    sentences without a full stop, fit to be shown to the caller.
    """

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(f"{problem}: {hint}")
        self.problem = problem
        self.hint = hint
