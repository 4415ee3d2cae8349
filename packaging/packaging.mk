# What is made of the programs: manual pages, an installed tree, Debian packages
# and tarballs. Included by the Makefile; ARCH is Debian's name of an
# architecture, empty for this machine's own.

ARCH     ?=
ARCHES   := amd64 arm64 armhf riscv64
ONLYTAR  := armel i386 mipsel
GOENV_amd64   := GOARCH=amd64
GOENV_arm64   := GOARCH=arm64
GOENV_armhf   := GOARCH=arm GOARM=7
GOENV_armel   := GOARCH=arm GOARM=5
GOENV_riscv64 := GOARCH=riscv64
GOENV_i386    := GOARCH=386
GOENV_mipsel  := GOARCH=mipsle GOMIPS=softfloat
GOENV    := $(if $(ARCH),GOOS=linux $(or $(GOENV_$(ARCH)),$(error ARCH=$(ARCH) is not known; there are $(patsubst GOENV_%,%,$(filter GOENV_%,$(.VARIABLES))))))
BIN      := $(if $(ARCH),build/$(ARCH),bin)

DESTDIR    ?=
PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR    ?= $(PREFIX)/lib/systemd/system
ZSHDIR     ?= $(PREFIX)/share/zsh/site-functions

# What is built is dated by its version, so that it is the same tomorrow.
ifndef SOURCE_DATE_EPOCH
export SOURCE_DATE_EPOCH := $(shell date -d "$$(sed -n 's/^\#\# .*(\(.*\))$$/\1/p' CHANGELOG.md | head -n 1) 12:00 UTC" +%s)
endif

LINTIAN   := lintian --allow-root --tag-display-limit 0 --fail-on error,warning
MANPAGES  := $(patsubst docs/man/%.scd,build/man/%,$(wildcard docs/man/*.scd))

.PHONY: man sbom install image deb deb-repro tarball check-package licenses package

##@ Packages

man: $(MANPAGES) ## the manual pages, by scdoc; to read one: man build/man/airbridged.8

build/man/%: docs/man/%.scd CHANGELOG.md
	@if ! command -v scdoc >/dev/null; then echo 'man: scdoc is missing; apt-get install scdoc'; exit 1; fi
	@mkdir -p build/man
	@sed 's/@VERSION@/$(VERSION)/' $< | scdoc >$@.new && mv $@.new $@

sbom: $(if $(wildcard $(BIN)/airsim),,build) ## what is linked into each program, beside it: CycloneDX 1.6 in JSON
	@mkdir -p build
	@$(GO) -C tools build -o ../build/sbom ./sbom
	@for p in $(PROGRAMS); do \
	    echo "== sbom: $(BIN)/$$p.cdx.json"; \
	    build/sbom --notice NOTICE --version '$(VERSION)' "$(BIN)/$$p" >"$(BIN)/$$p.cdx.json.new"; \
	    mv "$(BIN)/$$p.cdx.json.new" "$(BIN)/$$p.cdx.json"; \
	done

# install puts what was built under DESTDIR; it builds what is missing.
install: $(if $(wildcard $(BIN)/airsim),,build) man sbom install-systemd ## what was built into DESTDIR, under PREFIX (/usr/local): programs, units, pages, completion
	@echo "== install: $(BIN) to $(DESTDIR)$(PREFIX)"
	@install -d $(DESTDIR)$(PREFIX)/bin
	@install -m 755 $(PROGRAMS:%=$(BIN)/%) $(DESTDIR)$(PREFIX)/bin
	@for page in $(MANPAGES); do install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man$${page##*.} $$page; done
	@install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/airbridged $(BIN)/airbridged.cdx.json $(BIN)/airbridgectl.cdx.json
	@install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/airsim $(BIN)/airsim.cdx.json
	@for p in $(PROGRAMS); do \
	    install -D -m 644 packaging/completion/$$p.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$p; \
	    install -D -m 644 packaging/completion/_$$p $(DESTDIR)$(ZSHDIR)/_$$p; \
	done
	@install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/metainfo packaging/invalid.packages.airbridged.metainfo.xml
	@install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/airbridged/examples/prometheus deploy/prometheus/airbridged.rules.yml
	@for json in $(wildcard deploy/grafana/*.json); do \
	    install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/airbridged/examples/grafana $$json; done
	@install -m 644 $(filter-out docs/soak.md docs/pitfalls.md,$(wildcard docs/*.md)) docs/dashboard.svg docs/dashboard-2.svg docs/page.png docs/airsim-page.png $(DESTDIR)$(PREFIX)/share/doc/airbridged
	@packaging/links.sh $(DESTDIR)$(PREFIX)/share/doc/airbridged/*.md
	@install -D -m 644 internal/config/example.toml $(DESTDIR)$(PREFIX)/share/doc/airbridged/examples/airbridged.toml
	@install -D -m 644 packaging/etc/README $(DESTDIR)$(SYSCONFDIR)/airbridged/airbridged.toml.d/README
	@if [ ! -e $(DESTDIR)$(SYSCONFDIR)/airbridged/airbridged.toml ]; then \
	    install -m 644 /dev/null $(DESTDIR)$(SYSCONFDIR)/airbridged/airbridged.toml; fi

CONTAINER ?= podman

image: build ## a container image of the daemon and airbridgectl; CONTAINER=docker for another program than podman
	@$(CONTAINER) build -t airbridged:$(VERSION) -f packaging/container/Containerfile $(BIN)

deb: ## Debian packages of airbridged and airsim in dist/, for ARCH
	@packaging/deb.sh dist $(or $(ARCH),$$(dpkg --print-architecture))

deb-repro: deb ## the same packages once more, in another place and environment, and compared
	@echo '== deb-repro: $(or $(ARCH),this machine)'
	@packaging/repro.sh dist $(or $(ARCH),$$(dpkg --print-architecture))

tarball: build man sbom ## daemon, airbridgectl and init scripts for systems without dpkg or systemd, in dist/, for ARCH
	@packaging/tarball.sh dist $(or $(ARCH),$$(dpkg --print-architecture 2>/dev/null || $(GO) env GOARCH)) '$(VERSION)' $(BIN)

package: ## packages, built twice, and tarballs for every architecture, with lintian and checksums, in dist/
	@rm -rf dist
	@for arch in $(ARCHES); do $(MAKE) --no-print-directory ARCH=$$arch deb-repro tarball; done
	@for arch in $(ONLYTAR); do $(MAKE) --no-print-directory ARCH=$$arch tarball; done
	@for arch in $(ARCHES); do echo "== lintian: $$arch"; $(LINTIAN) dist/*_$$arch.changes; done
	@cd dist && sha256sum *.deb *.tar.gz >SHA256SUMS && cat SHA256SUMS

licenses: ## every linked module is named with its license, and the bills of materials are valid CycloneDX
	@echo '== licenses: go test ./sbom'
	@$(GO) -C tools test ./sbom

check-package: $(if $(shell command -v scdoc),build man sbom) ## packages and tarball of this machine's architecture, by lintian and by installing them, where its tools are
	@packaging/check.sh '$(VERSION)' $(BIN)
