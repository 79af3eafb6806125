"""What all tests share."""

# Imported early: hypothesis imports it while a test fails, and CPython 3.11 can die there when grpc objects are
# collected at that moment ("AST constructor recursion depth mismatch").
import hypothesis.internal.observability  # noqa: F401
