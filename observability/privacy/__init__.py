"""What keeps credentials and personal data out of every signal: text is scrubbed here before a span, log or report has
it.
"""
