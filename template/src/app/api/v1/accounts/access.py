"""Who may do what with accounts. A route takes one of these as a parameter."""

from app.chassis.auth.access import Known
from app.chassis.http import Public

MayRegister = Public
MayLogIn = Public
MayReadOwn = Known
