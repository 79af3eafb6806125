"""Everything that depends on etcd: the store in etcd, and this manager's own etcd member."""

__all__ = ["bootstrap", "command_line", "etcd_members", "etcd_process", "etcd_store", "withdrawal"]
