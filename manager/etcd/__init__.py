"""Everything that knows etcd: the store over it, and this manager's own member."""

__all__ = ["bootstrap", "command_line", "etcd_members", "etcd_process", "etcd_store", "withdrawal"]
