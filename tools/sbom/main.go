// Command sbom writes the bill of materials of one of the programs, as CycloneDX
// 1.6 in JSON: the Go modules that are linked into it, with version, checksum and
// license.
//
//	sbom --notice NOTICE --version VERSION BINARY >FILE
//
// What is linked it reads out of the binary, so it tells what was built and not
// what go.mod allows; the licenses it reads out of NOTICE, and it fails when that
// does not name a module. The same binary gives the same bytes: the time is
// $SOURCE_DATE_EPOCH, and the serial number follows from the binary.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func main() {
	notice := flag.String("notice", "NOTICE", "")
	version := flag.String("version", "", "")
	flag.Parse()
	if flag.NArg() != 1 || *version == "" {
		fmt.Fprintln(os.Stderr, "usage: sbom --notice NOTICE --version VERSION BINARY >FILE")
		os.Exit(2)
	}
	if err := write(os.Stdout, flag.Arg(0), *notice, *version, os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// write reads a binary and writes its bill of materials. epoch is in seconds
// since 1970; empty: there is no time in it.
func write(w io.Writer, binary, notice, version, epoch string) error {
	data, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("%s is not a Go program: %w", binary, err)
	}
	licenses, err := readNotice(notice)
	if err != nil {
		return err
	}
	bom := cdx.NewBOM()
	bom.SerialNumber = serial(data, version)
	bom.Metadata = &cdx.Metadata{Component: program(filepath.Base(binary), version, data, info)}
	if epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
		}
		bom.Metadata.Timestamp = time.Unix(seconds, 0).UTC().Format(time.RFC3339)
	}
	var components []cdx.Component
	var refs []string
	for _, m := range linked(info) {
		license, ok := licenses[m.Path]
		if !ok {
			return fmt.Errorf("%s is linked into %s and %s does not name it: add it there and to packaging/debian/copyright", m.Path, binary, notice)
		}
		components = append(components, library(m, license))
		refs = append(refs, components[len(components)-1].BOMRef)
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: bom.Metadata.Component.BOMRef, Dependencies: &refs}}
	return cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(bom, cdx.SpecVersion1_6)
}

// linked are the modules in a binary, the standard library first.
func linked(info *debug.BuildInfo) []*debug.Module {
	list := []*debug.Module{{Path: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		list = append(list, m)
	}
	return list
}

// program is the component that the bill is about.
func program(name, version string, data []byte, info *debug.BuildInfo) *cdx.Component {
	var properties []cdx.Property
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS", "GOARCH", "GOARM", "GOMIPS", "CGO_ENABLED", "-trimpath":
			properties = append(properties, cdx.Property{Name: "go:build:" + s.Key, Value: s.Value})
		}
	}
	sum := sha256.Sum256(data)
	return &cdx.Component{
		BOMRef: name, Type: cdx.ComponentTypeApplication, Name: name, Version: version,
		PackageURL: "pkg:generic/" + name + "@" + version,
		Licenses:   &cdx.Licenses{{Expression: "Apache-2.0"}},
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
		Properties: &properties,
	}
}

// library is the component for one linked module. Its checksum is that of go.sum:
// of the module's files, not of an archive.
func library(m *debug.Module, license string) cdx.Component {
	url := "pkg:golang/" + m.Path + "@" + m.Version
	c := cdx.Component{
		BOMRef: url, Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: url,
		Scope: cdx.ScopeRequired, Licenses: &cdx.Licenses{{Expression: license}},
	}
	if m.Sum != "" {
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: m.Sum}}
	}
	return c
}

// serial makes a UUID (RFC 9562, version 8) of a binary and its version.
func serial(data []byte, version string) string {
	h := sha256.New()
	h.Write(data)
	h.Write([]byte(version))
	b := h.Sum(nil)[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// noticeLine is a module and its license: "  go.uber.org/zap  MIT".
var noticeLine = regexp.MustCompile(`(?m)^  ([a-z][^ ]*)  +([A-Za-z0-9.-]+)$`)

func readNotice(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	licenses := map[string]string{"std": "BSD-3-Clause"}
	for _, m := range noticeLine.FindAllStringSubmatch(string(data), -1) {
		licenses[m[1]] = m[2]
	}
	if len(licenses) == 1 {
		return nil, errors.New(path + " names no module")
	}
	return licenses, nil
}
