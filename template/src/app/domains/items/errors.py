"""What can go wrong with items. The kind an error derives from decides its HTTP status."""

from app.chassis.errors import ConflictError, NotFoundError, PreconditionFailedError


class ItemNotFoundError(NotFoundError):
    """There is no item with that key."""

    code = "item_not_found"
    title = "No such item"


class ItemNameTakenError(ConflictError):
    """Another item has that name."""

    code = "item_name_taken"
    title = "Name already taken"


class ItemChangedError(PreconditionFailedError):
    """Somebody changed the item since the caller read it."""

    code = "item_changed"
    title = "The item changed since you read it"
