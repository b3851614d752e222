"""Routes of accounts: registration, log-in, renewal, log-out. What is decided, is decided in the service."""

from collections.abc import Collection

from app.api.v1.accounts.access import MayLogIn, MayReadOwn, MayRegister
from app.api.v1.accounts.schemas import AccountIn, AccountOut, Credentials, Renewal, TokenOut
from app.chassis.auth.access import Issuer, Renewals
from app.chassis.http import Read, Router, Write, fails_with
from app.domains.accounts import service

router = Router(tags=["accounts"])


@router.post(
    "/accounts",
    status_code=201,
    summary="Register",
    responses=fails_with("account_email_taken", "password_weak"),
)
async def create_account(_who: MayRegister, work: Write, body: AccountIn) -> AccountOut:
    return AccountOut.model_validate(await service.register(work, email=body.email, password=body.password))


@router.get("/accounts/me", summary="Read the caller's own account", responses=fails_with("account_not_found"))
async def read_own_account(who: MayReadOwn, work: Read) -> AccountOut:
    return AccountOut.model_validate(await service.own_account(work, str(who.subject)))


@router.post("/tokens", summary="Log in", responses=fails_with("credentials_wrong"))
async def create_token(
    _who: MayLogIn, look: Read, work: Write, body: Credentials, issuer: Issuer, renewals: Renewals
) -> TokenOut:
    account = await service.log_in(look, work, email=body.email, password=body.password)
    scopes = account.scopes.split()
    return _token(issuer, account.id, scopes, await renewals.begin(work, account.id, scopes))


@router.post("/tokens/renewal", summary="Renew an access token", responses=fails_with("refresh_token_invalid"))
async def renew_token(_who: MayLogIn, look: Read, body: Renewal, issuer: Issuer, renewals: Renewals) -> TokenOut:
    used = await renewals.use(body.refresh_token)
    account = await service.account_of_renewal(look, used.subject)
    return _token(issuer, account.id, account.scopes.split(), used.token)


@router.post("/tokens/end", status_code=204, summary="Log out: the refresh token and those after it are over")
async def end_token(_who: MayLogIn, body: Renewal, renewals: Renewals) -> None:
    await renewals.end(body.refresh_token)


def _token(issuer: Issuer, subject: str, scopes: Collection[str], refresh_token: str) -> TokenOut:
    token = issuer.issue(subject, scopes)
    return TokenOut(
        access_token=token.value, expires_in=token.seconds, refresh_token=refresh_token, scope=" ".join(token.scopes)
    )
