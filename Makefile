# Komet Payments. Variants stand side by side in build/<variant>/:
#   make                     the programs (VARIANT=release; also debug asan coverage faults mutants)
#   make deps                installs the Debian packages that are missing
#   make demo [KEEP=1]       one business day, from the first sale to the close
#   make test                unit, SQL and end-to-end tests
#   make lint | bench | fuzz SECONDS=60 | system-test
#   make faults [KILLS=n|all SEED=n]  kill tests and their proof by mutants; 6,000 kills by default
#   make protocol            writes ipc/PROTOCOL.md anew from ipc/messages.txt
#   make install DESTDIR=/somewhere
# Sources are found by wildcard: a new file in a room is built without a change here.

VARIANT ?= release
VARIANTS := release debug asan coverage faults mutants
ifeq ($(filter $(VARIANT),$(VARIANTS)),)
$(error VARIANT=$(VARIANT) is not one of: $(VARIANTS))
endif

SHELL := /bin/bash
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

PYTHON := /usr/bin/python3
CC := gcc
CLANG := clang
B := build/$(VARIANT)
GEN := build/gen
FZ := build/fuzz
export KOMETPAY_BUILD ?= $(B)

# --- flags ---------------------------------------------------------------------------------------

# Asked for at the first compilation, not when this file is read: `make deps` works before they are.
PACKAGES := libevent libevent_openssl openssl libcurl jansson libsystemd libpq
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(PACKAGES)))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $$(shell pkg-config --libs $(PACKAGES)))$(PKG_LIBS)

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
    -Wmissing-prototypes -Wvla -Wformat=2 -Wswitch-enum -Wundef -Wpointer-arith -Wcast-qual
LANGUAGE := -std=c17 -D_GNU_SOURCE -fno-common -I. -I$(GEN)
HARDENING := -fstack-protector-strong -fstack-clash-protection -fcf-protection \
    -ftrivial-auto-var-init=zero -fPIE
LINKING := -pie -Wl,-z,relro,-z,now,-z,noexecstack

OPTIMISED := -O2 -g -D_FORTIFY_SOURCE=3
FLAGS_release := $(OPTIMISED)
FLAGS_debug := -O0 -g3
FLAGS_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
FLAGS_coverage := -O0 -g --coverage
FLAGS_faults := $(OPTIMISED) -DKOMETPAY_FAULTS
FLAGS_mutants := $(OPTIMISED) -DKOMETPAY_MUTANTS

CFLAGS := $(LANGUAGE) $(WARNINGS) $(HARDENING) $(FLAGS_$(VARIANT))
LDFLAGS := $(LINKING) $(filter -fsanitize=% -fno-sanitize% --coverage,$(FLAGS_$(VARIANT)))
FUZZ_SANITIZERS := address,undefined
FUZZ_CFLAGS := $(LANGUAGE) -Wall -Wextra -O1 -g -fno-omit-frame-pointer -DKOMETPAY_FUZZ \
    -fsanitize=fuzzer-no-link,$(FUZZ_SANITIZERS) -fno-sanitize-recover=all

# --- sources -------------------------------------------------------------------------------------

PROGRAMS := $(foreach p,terminald gatewayd vaultd settled kometpay,\
    $(if $(wildcard daemons/$p/main.c),$p))
MESSAGES := $(if $(wildcard ipc/generate.py),$(GEN)/ipc/messages.c)
LIBRARY_SOURCES := $(wildcard lib/*.c ipc/*.c) $(MESSAGES)
program_sources = $(wildcard daemons/$1/*.c daemons/$1/*/*.c)
part_sources = $(filter-out daemons/$1/main.c,$(program_sources))
SIMULATOR_SOURCES := $(wildcard tests/simulators/clearent/*.c)
UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
BENCH_SOURCES := $(wildcard tests/bench/*.c)
FUZZ_SOURCES := $(wildcard tests/fuzz/fuzz_*.c)
ALL_SOURCES := $(LIBRARY_SOURCES) $(foreach p,$(PROGRAMS),$(call program_sources,$p)) \
    $(SIMULATOR_SOURCES) $(UNIT_SOURCES) $(BENCH_SOURCES)

objects = $(patsubst %.c,$B/obj/%.o,$1)
fuzz_objects = $(patsubst %.c,$(FZ)/obj/%.o,$1)
# The programs that a test's first line names: /* links: gatewayd */
links = $(filter $(PROGRAMS),$(shell sed -n '1s|^/\* *links: *\([a-z ]*\)\*/.*|\1|p' $1))

SIMULATOR := $(if $(SIMULATOR_SOURCES),$B/clearent-sim)
UNITS := $(patsubst tests/unit/%.c,$B/unit/%,$(UNIT_SOURCES))
BENCHES := $(patsubst tests/bench/%.c,$B/bench/%,$(BENCH_SOURCES))
FUZZERS := $(patsubst tests/fuzz/%.c,$(FZ)/%,$(FUZZ_SOURCES))

# --- targets -------------------------------------------------------------------------------------

.PHONY: all units benches fuzzers protocol deps demo test lint bench faults fuzz system-test install \
    clean FORCE
all: $(PROGRAMS:%=$B/%) $(SIMULATOR)
units: $(UNITS)
benches: $(BENCHES)
fuzzers: $(FUZZERS)

# The page for POS integrators, after ipc/messages.txt was changed.
protocol:
	$(PYTHON) ipc/generate.py --messages ipc/messages.txt --protocol ipc/PROTOCOL.md

deps:
	@bash tests/deps.sh

# `deps` first, then the build in a make of its own, which sees the compiler that deps installed.
demo: deps
	+@$(MAKE) --no-print-directory all
	$(PYTHON) tests/demo/day.py

test: deps
	+@$(MAKE) --no-print-directory all units
	@$(PYTHON) tests/run.py

lint: $(MESSAGES)
	@bash tests/lint.sh

bench: all benches
	$(PYTHON) tests/bench/run.py

faults:
	+@$(MAKE) --no-print-directory VARIANT=faults all
	+@$(MAKE) --no-print-directory VARIANT=mutants all
	$(PYTHON) tests/faults/run.py

fuzz: fuzzers $(GEN)/fuzz.dict
	@bash tests/fuzz/run.sh $(or $(SECONDS),60)

# The units as they are installed, without a running systemd: verified, and their exposure measured.
system-test: all
	rm -rf $B/stage
	+@$(MAKE) --no-print-directory install DESTDIR=$(CURDIR)/$B/stage >/dev/null
	bash tests/system/units.sh $B/stage

clean:
	rm -rf build

# --- generated -----------------------------------------------------------------------------------

ifneq ($(MESSAGES),)
$(GEN)/ipc/messages.h $(GEN)/ipc/messages.c $(GEN)/fuzz.dict &: ipc/generate.py ipc/messages.txt
	@mkdir -p $(GEN)/ipc
	$(PYTHON) ipc/generate.py --messages ipc/messages.txt --out $(GEN)
	@touch $(GEN)/ipc/messages.h $(GEN)/ipc/messages.c
endif

# Flags, and which files an archive is made of: written anew only when they changed, so that what
# was made with others is made again.
define write_if_changed
@mkdir -p $(@D)
@printf '%s\n' $1 | cmp -s - $@ || printf '%s\n' $1 > $@
endef
$B/flags: FORCE
	$(call write_if_changed,'$(CC) $(CFLAGS) $(LDFLAGS)')
$(FZ)/flags: FORCE
	$(call write_if_changed,'$(CLANG) $(FUZZ_CFLAGS)')
build/sources: FORCE
	$(call write_if_changed,$(sort $(ALL_SOURCES)))

# --- compiling and linking -----------------------------------------------------------------------

$B/obj/%.o: %.c $B/flags | $(MESSAGES)
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(CFLAGS) $(PKG_CFLAGS) -MMD -MP -c $< -o $@

$(FZ)/obj/%.o: %.c $(FZ)/flags | $(MESSAGES)
	@mkdir -p $(@D)
	@echo "  CLANG   $<"
	@$(CLANG) $(FUZZ_CFLAGS) $(PKG_CFLAGS) -MMD -MP -c $< -o $@

define make_archive
@mkdir -p $(@D)
@echo "  AR      $@"
@rm -f $@ && ar rcs $@ $(filter %.o,$^)
endef

define make_program
@mkdir -p $(@D)
@echo "  LD      $@"
@$(CC) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) $1 $(PKG_LIBS) -o $@
endef

$B/libkomet.a: $(call objects,$(LIBRARY_SOURCES)) build/sources
	$(make_archive)
$(FZ)/libkomet.a: $(call fuzz_objects,$(LIBRARY_SOURCES)) build/sources
	$(make_archive)

define PROGRAM_RULES
$B/$1.a: $$(call objects,$$(call part_sources,$1)) build/sources
	$$(make_archive)
$(FZ)/$1.a: $$(call fuzz_objects,$$(call part_sources,$1)) build/sources
	$$(make_archive)
$B/$1: $$(call objects,$$(call program_sources,$1)) $B/libkomet.a
	$$(call make_program,)
endef
$(foreach p,$(PROGRAMS),$(eval $(call PROGRAM_RULES,$p)))

$B/clearent-sim: $(call objects,$(SIMULATOR_SOURCES)) $B/libkomet.a
	$(call make_program,)

define TEST_RULES
$B/unit/$1: $$(call objects,tests/unit/$1.c) $(patsubst %,$B/%.a,$(call links,tests/unit/$1.c)) \
    $B/libkomet.a
	$$(call make_program,-lcmocka)
endef
$(foreach t,$(patsubst tests/unit/%.c,%,$(UNIT_SOURCES)),$(eval $(call TEST_RULES,$t)))

define BENCH_RULES
$B/bench/$1: $$(call objects,tests/bench/$1.c) $(patsubst %,$B/%.a,$(call links,tests/bench/$1.c)) \
    $B/libkomet.a
	$$(call make_program,)
endef
$(foreach t,$(patsubst tests/bench/%.c,%,$(BENCH_SOURCES)),$(eval $(call BENCH_RULES,$t)))

define FUZZ_RULES
$(FZ)/$1: $$(call fuzz_objects,tests/fuzz/$1.c) \
    $(patsubst %,$(FZ)/%.a,$(call links,tests/fuzz/$1.c)) $(FZ)/libkomet.a
	@echo "  LD      $$@"
	@$(CLANG) -fsanitize=fuzzer,$(FUZZ_SANITIZERS) $$(filter %.o,$$^) $$(filter %.a,$$^) \
	    $$(PKG_LIBS) -o $$@
endef
$(foreach t,$(patsubst tests/fuzz/%.c,%,$(FUZZ_SOURCES)),$(eval $(call FUZZ_RULES,$t)))

-include $(patsubst %.o,%.d,$(call objects,$(ALL_SOURCES)))
-include $(patsubst %.o,%.d,$(call fuzz_objects,$(ALL_SOURCES) $(FUZZ_SOURCES)))

# --- installing ----------------------------------------------------------------------------------

LIBEXEC := $(DESTDIR)/usr/libexec/kometpay
UNIT_FILES := $(wildcard $(patsubst %,systemd/*.%,service socket timer target))
SQL_FILES := $(sort $(shell find sql -type f 2>/dev/null))
# systemd/ holds them flat (kometpay.sysusers, kometpay.tmpfiles, kometpay.catalog) or as the
# system names them (sysusers.d/kometpay.conf).
SYSTEMD_FILES := $(wildcard systemd/*.sysusers systemd/*.tmpfiles systemd/*.catalog \
    systemd/sysusers.d/*.conf systemd/tmpfiles.d/*.conf systemd/catalog/*.catalog)
systemd_place = $(strip $(if $(filter %.sysusers,$1),sysusers.d/$(basename $(notdir $1)).conf,\
    $(if $(filter %.tmpfiles,$1),tmpfiles.d/$(basename $(notdir $1)).conf,\
    $(if $(filter %.catalog,$1),systemd/catalog/$(notdir $1),$(1:systemd/%=%)))))

install: all
	install -d $(DESTDIR)/usr/bin $(LIBEXEC) $(DESTDIR)/lib/systemd/system
	install -m 755 $(filter %/kometpay,$(PROGRAMS:%=$B/%)) $(DESTDIR)/usr/bin
	install -m 755 $(filter-out %/kometpay,$(PROGRAMS:%=$B/%)) $(LIBEXEC)
	$(if $(UNIT_FILES),install -m 644 $(UNIT_FILES) $(DESTDIR)/lib/systemd/system)
	$(foreach f,$(SYSTEMD_FILES),\
	    install -D -m 644 $f $(DESTDIR)/usr/lib/$(call systemd_place,$f) &&) true
	$(foreach f,$(SQL_FILES),install -D -m 644 $f $(DESTDIR)/usr/share/kometpay/$f &&) true
	install -D -m 644 systemd/kometpay.1 $(DESTDIR)/usr/share/man/man1/kometpay.1
	install -D -m 644 systemd/kometpay.bash-completion \
	    $(DESTDIR)/usr/share/bash-completion/completions/kometpay
	@# Settings that somebody has made stay as they are.
	test -e $(DESTDIR)/etc/kometpay/kometpay.env || \
	    install -D -m 644 systemd/kometpay.env $(DESTDIR)/etc/kometpay/kometpay.env
	install -D -m 644 ipc/PROTOCOL.md $(DESTDIR)/usr/share/doc/kometpay/PROTOCOL.md
	install -m 644 LICENSE $(DESTDIR)/usr/share/doc/kometpay/LICENSE
