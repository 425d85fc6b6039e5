// Package kind holds no program: it checks kind-config.yaml with kind's own parser and validator where no Docker engine can.
package kind

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/kind/pkg/cluster"
)

// A Docker engine of a few lines: it knows no clusters, and it says so loudly when kind, satisfied with the configuration, asks
// for the first thing that would need a real one.
const fakeDocker = `#!/bin/sh
case "$1" in
  info) echo '{"CgroupDriver":"cgroupfs","CgroupVersion":"2","MemoryLimit":true,"PidsLimit":true,"CPUShares":true}' ;;
  ps) ;;
  *) echo "configuration accepted, then: docker $*" >&2; exit 1 ;;
esac
`

func create(t *testing.T, config string) string {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "docker"), []byte(fakeDocker), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	provider := cluster.NewProvider(cluster.ProviderWithDocker())
	err := provider.Create("crucible-check", cluster.CreateWithConfigFile(config), cluster.CreateWithKubeconfigPath(filepath.Join(bin, "kubeconfig")))
	if err == nil {
		t.Fatal("a cluster was created by an engine that has none")
	}
	return err.Error()
}

func TestOurConfigurationIsAcceptedByKind(t *testing.T) {
	said := create(t, "../../kind-config.yaml")
	if !strings.Contains(said, "docker") || strings.Contains(said, "unmarshal") || strings.Contains(said, "invalid configuration") {
		t.Errorf("kind refused kind-config.yaml: %s", said)
	}
}

func TestABrokenConfigurationIsRefusedByKind(t *testing.T) {
	good, err := os.ReadFile("../../kind-config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for reason, broken := range map[string]string{
		"an unknown field":       string(good) + "\nnodez: []\n",
		"a role that is no role": strings.Replace(string(good), "role: control-plane", "role: conductor", 1),
	} {
		t.Run(reason, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "kind-config.yaml")
			if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
				t.Fatal(err)
			}
			if said := create(t, file); !strings.Contains(said, "nodez") && !strings.Contains(said, "conductor") {
				t.Errorf("kind did not name the mistake: %s", said)
			}
		})
	}
}
