"""Numbers in Simplified Chinese, where Django groups none: 1,000,000 as bills and statements in China write it."""

THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
