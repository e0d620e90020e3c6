"""What an image is made of, as SPDX 2.3 (<out>/manifests/<digest>.spdx.json).

Read out of the image itself, its dpkg database above all, and from its manifest what no database of the image knows. So it
can be made of any image at any time, and the same image always gives the same bytes.
"""
import datetime
import json
import os
import re
import sys
import urllib.parse

from .base import EPOCH, FAILED, WRONG_USE, Unusable, die, replace_text
from .catalogue import find_image
from .erofs import Image
from .manifest import read_manifest

UNKNOWN = "NOASSERTION"
IMAGE = "SPDXRef-Image"
CREATED = datetime.datetime.fromtimestamp(int(EPOCH), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sbom_file(out, digest):
    return out / "manifests" / f"{digest}.spdx.json"


def namespace_of(digest):
    """The URI of the document: what SPDX advises those who have no site for it."""
    return f"https://spdx.org/spdxdocs/karreg-image-{digest}"


def stanzas(text):
    """Of a file in Debian's control format: the fields of each paragraph."""
    for paragraph in re.split(r"\n\n+", text):
        fields = {key: value.strip() for key, value in re.findall(r"^([A-Za-z0-9-]+):(.*(?:\n[ \t].*)*)", paragraph, re.MULTILINE)}
        if fields:
            yield fields


def reference(*parts):
    """An identifier inside the document, which may have letters, digits, "." and "-" only."""
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", lambda found: f"-x{ord(found[0]):02X}", "-".join(parts))


def purl(kind, name, version, **qualifiers):
    """A package URL (https://github.com/package-url/purl-spec)."""
    quoted = urllib.parse.quote(name, safe="/"), urllib.parse.quote(version, safe=":")
    more = "&".join(f"{key}={urllib.parse.quote(value, safe='')}" for key, value in sorted(qualifiers.items()) if value)
    return f"pkg:{kind}/{quoted[0]}@{quoted[1]}" + (f"?{more}" if more else "")


def package(identifier, name, version, locator, **more):
    return {"SPDXID": identifier, "name": name, "versionInfo": version, "downloadLocation": UNKNOWN, "filesAnalyzed": False,
            "supplier": UNKNOWN, "licenseConcluded": UNKNOWN, "licenseDeclared": UNKNOWN, "copyrightText": UNKNOWN,
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator}], **more}


def debian_package(fields, release):
    """@fields: a paragraph of dpkg's database. @release: the code name, such as trixie."""
    name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
    # "Source: gcc-14 (14.2.0-19)"; security trackers speak of sources.
    source, _, its_version = fields.get("Source", name).partition(" ")
    return package(reference("deb", name, architecture), name, version,
                   purl("deb/debian", name, version, arch=architecture, distro=release),
                   supplier="Organization: Debian",
                   sourceInfo=f"architecture {architecture}; built from the source package {source} {its_version.strip('()') or version}")


def npm_program(image, name, version):
    """A program of the npm registry. Tools are unpacked as they come, with what they say about themselves; of programs
    (recipe: binaries) only the one file is here."""
    plain = name.removesuffix(" (npm)")
    said = image.read(f"usr/lib/node_modules/{plain}/package.json") if plain != name else None
    license_said = json.loads(said).get("license") if said else None
    # A tool may say anything; what is not the plain name of a licence would not be valid here.
    known = isinstance(license_said, str) and re.fullmatch(r"[A-Za-z0-9.+-]+", license_said)
    return package(reference("npm", plain), plain, version, purl("npm", plain, version),
                   licenseDeclared=license_said if known else UNKNOWN)


def make_sbom(out, digest):
    """The text of the SBOM. Exception Unusable: the image, or what it says about itself, cannot be read."""
    image = Image(out / "blobs" / digest)
    status = image.read("var/lib/dpkg/status")
    if status is None:
        raise Unusable("it has no database of dpkg")
    release = re.search(rb"^VERSION_CODENAME=(\w+)", image.read("etc/os-release") or b"", re.MULTILINE)
    release = release[1].decode() if release else ""
    known = {fields["Package"]: fields for fields in stanzas(status.decode())}
    installed = [fields for fields in known.values() if fields["Status"].endswith(" installed")]
    packages = [debian_package(fields, release) for fields in installed]
    packages += [npm_program(image, name, version) for name, version in read_manifest(out, digest).items() if name not in known]
    packages.sort(key=lambda each: each["SPDXID"])
    whole = {"SPDXID": IMAGE, "name": f"karreg-image-{digest[:16]}", "versionInfo": digest, "downloadLocation": UNKNOWN,
             "filesAnalyzed": False, "supplier": UNKNOWN, "licenseConcluded": UNKNOWN, "licenseDeclared": UNKNOWN,
             "copyrightText": UNKNOWN, "primaryPackagePurpose": "OPERATING_SYSTEM",
             "checksums": [{"algorithm": "SHA256", "checksumValue": digest}]}
    related = [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": IMAGE}]
    related += [{"spdxElementId": IMAGE, "relationshipType": "CONTAINS", "relatedSpdxElement": each["SPDXID"]} for each in packages]
    return json.dumps({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": whole["name"],
        "documentNamespace": namespace_of(digest),
        "creationInfo": {"created": CREATED, "creators": ["Tool: karreg-images"]},
        "packages": [whole, *packages], "relationships": related}, indent=1) + "\n"


def keep_sbom(out, digest):
    """Puts the SBOM beside the manifest, unless it is there."""
    if not sbom_file(out, digest).exists():
        replace_text(sbom_file(out, digest), make_sbom(out, digest))


def print_sbom(arguments):
    out, (name,) = arguments.out, arguments.names
    digest = find_image(out, name, "build" if arguments.build else "run")
    file = sbom_file(out, digest)
    if file.exists():
        text = file.read_text()
    elif not (out / "blobs" / digest).exists():
        die(f"the image {digest[:16]} of {name} is not in {out}, and it had no SBOM", WRONG_USE)
    else:
        try:
            text = make_sbom(out, digest)
        except Unusable as error:
            die(f"no SBOM of {name}: {error}", FAILED)
        # Images of before there were SBOMs. Whoever may only read the store gets it all the same.
        if os.access(file.parent, os.W_OK):
            replace_text(file, text)
    sys.stdout.write(text)
