"""The chassis: what every service shares. Owned by the template, brought by `copier update`, never edited."""
