"""What can go wrong with accounts. The kind an error derives from decides its HTTP status."""

from app.chassis.errors import ConflictError, InvalidError, NotFoundError, UnauthenticatedError


class AccountEmailTakenError(ConflictError):
    """There is an account with that e-mail address."""

    code = "account_email_taken"
    title = "E-mail address already taken"


class AccountNotFoundError(NotFoundError):
    """The caller is known, but has no account here: another issuer's, a developer's."""

    code = "account_not_found"
    title = "No such account"


class CredentialsWrongError(UnauthenticatedError):
    """There is no account with that e-mail address and password. Which of the two is wrong is not told."""

    code = "credentials_wrong"
    title = "E-mail address or password wrong"


class PasswordWeakError(InvalidError):
    """The password keeps the form and breaks a rule; each that it breaks is told."""

    code = "password_weak"
    title = "Password too easy to guess"
