"""A real kube-apiserver with etcd on loopback: where its programs come from, and how it runs."""
