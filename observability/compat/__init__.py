"""Every use of a private name of another library: one module per library, nothing private is used elsewhere.

Each module says what a name is used for and what replaces it in a version of the library that lacks it: a public way,
or one feature less. It is decided at import where the name is a module's or a class's, at use where only objects have
it; neither the import nor a request fails. `tests/observability/compat` removes the names one by one.
"""
