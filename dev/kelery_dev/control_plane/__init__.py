"""A real kube-apiserver with etcd on loopback: its programs and its processes."""
