"""Server spans without a span of the SDK, and their encoding without protobuf objects: exact replacements that only
save time.
"""
