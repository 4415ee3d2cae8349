# Where the files of this directory go. Included by the Makefile; DESTDIR, PREFIX
# and UNITDIR are those of "make install".

LIBDIR    = $(DESTDIR)$(PREFIX)/lib
EXAMPLES  = $(DESTDIR)$(PREFIX)/share/doc/airbridged/examples/systemd

.PHONY: install-systemd units nspawn installed

##@ The service

install-systemd: ## units, udev rule, user, directories and kernel modules into DESTDIR, under PREFIX
	@install -d $(DESTDIR)$(UNITDIR)
	@for unit in deploy/systemd/*.service deploy/systemd/*.socket deploy/systemd/*.target; do \
	    sed 's,/usr/bin/,$(PREFIX)/bin/,' "$$unit" >"$(DESTDIR)$(UNITDIR)/$${unit##*/}"; \
	    chmod 644 "$(DESTDIR)$(UNITDIR)/$${unit##*/}"; \
	done
	@install -D -m 644 -t $(LIBDIR)/udev/rules.d deploy/systemd/90-airbridged.rules
	@install -D -m 644 deploy/systemd/airbridged.sysusers $(LIBDIR)/sysusers.d/airbridged.conf
	@install -D -m 644 deploy/systemd/airbridged.tmpfiles $(LIBDIR)/tmpfiles.d/airbridged.conf
	@install -D -m 644 deploy/systemd/airbridged.modules-load $(LIBDIR)/modules-load.d/airbridged.conf
	@install -D -m 644 -t $(EXAMPLES) deploy/systemd/examples/*.conf

units: ## deploy/systemd by the tools that own its formats, where they are installed
	@scripts/units.sh

nspawn: deb tarball ## the packages under real systemd: Debian 12 and 13 in containers, as root; NSPAWN_CACHE=DIR keeps what debootstrap made
	@echo '== nspawn: go test ./internal/e2e/nspawn'
	@packaging/earlier.sh build/earlier
	@AIRBRIDGED_NSPAWN=1 AIRBRIDGED_NSPAWN_CACHE='$(NSPAWN_CACHE)' AIRBRIDGED_NSPAWN_DEBS='$(CURDIR)/dist' \
	    AIRBRIDGED_NSPAWN_EARLIER="$$(find '$(CURDIR)/build/earlier' -name 'airbridged_*.deb' 2>/dev/null)" \
	    $(GO) test -count=1 -v -timeout 40m ./internal/e2e/nspawn

installed: ## the packages of check-package, installed, upgraded and purged under systemd on a copy of this machine, as root
	@echo '== installed: go test ./internal/e2e/nspawn'
	@AIRBRIDGED_NSPAWN=here AIRBRIDGED_NSPAWN_DEBS='$(CURDIR)/build/check' $(GO) test -count=1 -timeout 15m -parallel 4 ./internal/e2e/nspawn
