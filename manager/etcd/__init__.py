"""Everything that knows etcd: the store over it, and this manager's own member."""
