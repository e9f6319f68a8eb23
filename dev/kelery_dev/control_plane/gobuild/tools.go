//go:build tools

// Package controlplane pins the programs that `kelery dev` and the tests build when no control plane can be downloaded.
package controlplane

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
