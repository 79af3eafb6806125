"""Why something is as it is: reasons as values, their text, and what helps against them."""
