"""Everything the accounts domain asks of the database."""

from sqlalchemy import select

from app.chassis.database import ReadWork, WriteWork
from app.domains.accounts.models import Account


async def account_by_id(work: ReadWork, account_id: str) -> Account | None:
    """The account with that key."""
    return await work.session.get(Account, account_id)


async def account_by_email(work: ReadWork, email: str) -> Account | None:
    """The account with that address, which is in lower case."""
    return await work.session.scalar(select(Account).where(Account.email == email))


async def add(work: WriteWork, account: Account) -> None:
    """Insert the account."""
    work.session.add(account)
    await work.session.flush()


async def save(work: WriteWork) -> None:
    """Write the changes made so far."""
    await work.session.flush()
