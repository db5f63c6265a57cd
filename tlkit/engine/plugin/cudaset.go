package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/tlkit/transfer-learning/internal/advice"
	"github.com/tlkit/transfer-learning/internal/atomicfile"
	"github.com/tlkit/transfer-learning/internal/cachedir"
	"github.com/tlkit/transfer-learning/internal/fetch"
)

// cudaSet is a list of wheels that fit together: jax's CUDA plugin and the NVIDIA libraries it
// opens. The versions are the last of the CUDA series that the plugin was built for. All are
// for linux/amd64 and pinned by the sha256 of the wheel.
type cudaSet struct {
	cuda   string
	wheels []wheel // the first is the plugin's
}

type wheel struct{ name, version, sha256 string }

var cudaSets = map[string]cudaSet{
	"13": {"13", []wheel{
		{"jax-cuda13-pjrt", "0.11.2", "e5ff589d43064913bb74027682d89639c7ea48f9f81c2bae6fc75117e913f93e"},
		{"nvidia-cuda-runtime", "13.0.96", "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548"},
		{"nvidia-cuda-nvrtc", "13.0.88", "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575"},
		{"nvidia-nvjitlink", "13.0.88", "13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b"},
		{"nvidia-cublas", "13.1.0.3", "ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171"},
		{"nvidia-cufft", "12.0.0.61", "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3"},
		{"nvidia-cusparse", "12.6.3.3", "2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b"},
		{"nvidia-cusolver", "12.0.4.66", "0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112"},
		{"nvidia-cuda-cupti", "13.0.85", "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8"},
		{"nvidia-cudnn-cu13", "9.19.0.56", "d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf"},
		{"nvidia-nccl-cu13", "2.28.9", "e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42"},
		{"nvidia-nvshmem-cu13", "3.4.5", "290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80"},
		{"nvidia-cuda-nvcc", "13.0.88", "56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03"},
		{"nvidia-nvvm", "13.0.88", "c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0"},
	}},
	"12": {"12", []wheel{
		{"jax-cuda12-pjrt", "0.11.2", "2133b3afc63307c016ae4980f166b2b3de199759363ead74f7d550eaae953463"},
		{"nvidia-cuda-runtime-cu12", "12.9.79", "25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3"},
		{"nvidia-cuda-nvrtc-cu12", "12.9.86", "210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4"},
		{"nvidia-nvjitlink-cu12", "12.9.86", "e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9"},
		{"nvidia-cublas-cu12", "12.9.1.4", "453611eb21a7c1f2c2156ed9f3a45b691deda0440ec550860290dc901af5b4c2"},
		{"nvidia-cufft-cu12", "11.4.1.4", "c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28"},
		{"nvidia-cusparse-cu12", "12.5.10.65", "73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78"},
		{"nvidia-cusolver-cu12", "11.7.5.82", "15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88"},
		{"nvidia-cuda-cupti-cu12", "12.9.79", "096bcf334f13e1984ba36685ad4c1d6347db214de03dbb6eebb237b41d9d934f"},
		{"nvidia-cudnn-cu12", "9.19.0.56", "ac6ad90a075bb33a94f2b4cf4622eac13dd4dc65cf6dd9c7572a318516a36625"},
		{"nvidia-nccl-cu12", "2.28.9", "485776daa8447da5da39681af455aa3b2c2586ddcf4af8772495e7c532c7e5ab"},
		{"nvidia-nvshmem-cu12", "3.4.5", "042f2500f24c021db8a06c5eec2539027d57460e1c1a762055a6554f72c369bd"},
		{"nvidia-cuda-nvcc-cu12", "12.9.86", "5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0"},
	}},
}

// id names the folder of an installation: different lists have different folders.
func (s cudaSet) id() string {
	h := sha256.New()
	for _, w := range s.wheels {
		fmt.Fprintln(h, w.name, w.version, w.sha256)
	}
	return "cuda" + s.cuda + "-" + hex.EncodeToString(h.Sum(nil))[:12]
}

func (w wheel) file() fetch.File {
	return fetch.File{Name: w.name + "-" + w.version + ".whl", SHA256: w.sha256,
		Sources: []fetch.Source{{Wheel: &fetch.Wheel{Name: w.name, Version: w.version, SHA256: w.sha256}}}}
}

// InstallCUDA installs jax's CUDA plugin and the NVIDIA libraries it needs into the cache:
// about 2 GB to download and 4 GB on disk, for CUDA 13 or 12, whichever the driver supports.
// The libraries are under NVIDIA's licence; nothing else in tlkit installs them. If it is
// interrupted, the next call continues.
func InstallCUDA(ctx context.Context, o Options) (*Plugin, error) {
	card, err := FindCard()
	if err != nil {
		return nil, err
	}
	if card == nil {
		return nil, advice.New(errors.New("plugin: no NVIDIA card is seen here, so there is nothing to install CUDA for"), "if there is one, see what nvidia-smi says")
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return nil, advice.New(fmt.Errorf("plugin: the pinned CUDA wheels are for linux/amd64, this is %s/%s", runtime.GOOS, runtime.GOARCH), "install jax with CUDA for your python3, its plugin is found")
	}
	return installCUDA(ctx, cudaSets[card.cuda()], o.fetch())
}

func installCUDA(ctx context.Context, set cudaSet, o fetch.Options) (*Plugin, error) {
	if p, err := installedCUDA(ctx, set); p != nil && err == nil {
		return p, nil
	}
	locks, err := cachedir.Dir("locks")
	if err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(locks, set.id()+".lock"))
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return nil, fmt.Errorf("plugin: waiting for another process that installs CUDA: %w", err)
	}
	defer lock.Unlock()
	if p, err := installedCUDA(ctx, set); p != nil && err == nil {
		return p, nil
	}
	home, err := cachedir.Dir("cuda")
	if err != nil {
		return nil, err
	}
	// Each wheel is first unpacked into its own folder, so that an interrupted installation
	// can continue.
	parts := filepath.Join(home, set.id()+".parts")
	for _, w := range set.wheels {
		part := filepath.Join(parts, w.sha256)
		if _, err := os.Stat(part); err == nil {
			continue
		}
		f := w.file()
		path, err := f.Get(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("plugin: %w", err)
		}
		if o.Report != nil {
			o.Report(fetch.Event{Name: f.Name, State: fetch.Unpacking})
		}
		if err := fetch.Unpack(ctx, path, part, fetch.UnpackLimits{Keep: func(n string) bool { return !needless(n) }}); err != nil {
			return nil, fmt.Errorf("plugin: %w", err)
		}
		// The wheel is no longer needed, and it is large.
		if err := f.Remove(); err != nil {
			return nil, fmt.Errorf("plugin: %w", err)
		}
	}
	// Together they make the same tree as pip would, because the plugin looks for the
	// libraries relative to itself.
	site := filepath.Join(home, set.id()+".site")
	if err := os.MkdirAll(site, 0o700); err != nil {
		return nil, fmt.Errorf("plugin: %w", err)
	}
	for _, w := range set.wheels {
		if err := merge(filepath.Join(parts, w.sha256), site); err != nil {
			return nil, fmt.Errorf("plugin: %w", err)
		}
	}
	rel := "jax_plugins/xla_cuda" + set.cuda + "/xla_cuda_plugin.so"
	p := filepath.Join(site, filepath.FromSlash(rel))
	if err := Sound(p); err != nil {
		return nil, err
	}
	sum, err := fetch.Rehash(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("plugin: %w", err)
	}
	text, err := json.MarshalIndent(manifest{Plugin: rel, SHA256: sum,
		Version: "XLA of " + set.wheels[0].name + " " + set.wheels[0].version}, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := atomicfile.WriteBytes(filepath.Join(site, manifestName), append(text, '\n'), 0o600); err != nil {
		return nil, fmt.Errorf("plugin: %w", err)
	}
	final := filepath.Join(home, set.id())
	if err := os.RemoveAll(final); err != nil { // a damaged older one
		return nil, fmt.Errorf("plugin: %w", err)
	}
	if err := os.Rename(site, final); err != nil {
		return nil, fmt.Errorf("plugin: %w", err)
	}
	if err := os.RemoveAll(parts); err != nil {
		return nil, fmt.Errorf("plugin: %w", err)
	}
	installed, err := installedCUDA(ctx, set)
	if err == nil && installed == nil {
		err = errors.New("plugin: CUDA was installed but is not found")
	}
	return installed, err
}

// merge moves the files of one unpacked wheel into the common tree. Wheels share folders;
// only __init__.py may be in several of them.
func merge(source, site string) error {
	return filepath.WalkDir(source, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(source, p)
		if err != nil {
			return err
		}
		target := filepath.Join(site, rel)
		if _, err := os.Lstat(target); err == nil && d.Name() != "__init__.py" {
			return fmt.Errorf("two wheels hold %s", rel)
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		// XLA starts ptxas.
		if strings.Contains(filepath.ToSlash(rel), "/bin/") {
			if err := os.Chmod(p, 0o700); err != nil {
				return err
			}
		}
		return os.Rename(p, target)
	})
}
