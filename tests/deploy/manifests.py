"""Holds deploy/kubernetes and compose.yaml to their word; called by scripts/deploy-check.

Every manifest is valid by Kubernetes' own schema, strictly; nothing in them may run as root or write
to its root; versions are those of the service, and variables are ones that it knows.
"""

import re
import sys
from pathlib import Path

import kubernetes_validate
import yaml

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "deploy/kubernetes"
FORBIDDEN = ["privileged", "hostNetwork", "hostPID", "hostIPC", "hostPath"]

wrong = []


def expect(good, what):
    if not good:
        wrong.append(what)


def variables():
    """The names in the documented table; of a secret also the one with _FILE."""
    lines = (ROOT / "docs/configuration.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| `READDRESS_") and line.count("|") == 4]
    names = set()
    for row in rows:
        name = re.match(r"\| `(\w+)`", row)[1]
        names |= {name, name + "_FILE"} if "…_FILE" in row else {name}
    expect(len(names) > 30, "docs/configuration.md: the table of variables is not found")
    return names


def containers(manifest):
    spec = manifest["spec"]["template"]["spec"]
    where = manifest["metadata"]["name"]
    pod = spec["securityContext"]
    expect(pod["runAsNonRoot"] and pod["runAsUser"] >= 1000, f"{where}: a user that is not root")
    expect(pod["seccompProfile"]["type"] == "RuntimeDefault", f"{where}: seccomp")
    expect(spec["automountServiceAccountToken"] is False, f"{where}: no token of the cluster")
    expect(spec["enableServiceLinks"] is False, f"{where}: no variables of services")
    for word in FORBIDDEN:
        expect(word not in str(spec), f"{where}: {word}")
    for container in spec["containers"]:
        context = container["securityContext"]
        expect(context["readOnlyRootFilesystem"], f"{where}: a read-only root")
        expect(context["allowPrivilegeEscalation"] is False, f"{where}: no privileges")
        expect(context["capabilities"] == {"drop": ["ALL"]}, f"{where}: no capabilities")
        resources = container["resources"]
        expect("memory" in resources["limits"] and resources["requests"], f"{where}: resources")
        for mount in container["volumeMounts"]:
            expect(mount["readOnly"], f"{where}: {mount['name']} is read-only")
        yield container


def manifests(version):
    kustomization = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())
    listed = kustomization["resources"]
    there = {file.name for file in MANIFESTS.glob("*.yaml")} - {"kustomization.yaml", "secret.yaml"}
    expect(set(listed) == there, f"kustomization.yaml lists {listed}, and there are {there}")
    # Kustomize passes over a name that no manifest has.
    renamed = [image["name"] for image in kustomization["images"]]
    expect(renamed == ["readdress"], f"kustomization.yaml: the image is readdress, not {renamed}")
    named = {}
    for file in [*listed, "secret.yaml"]:
        for manifest in yaml.safe_load_all((MANIFESTS / file).read_text()):
            try:
                kubernetes_validate.validate(manifest, "1.37", strict=True)
            except kubernetes_validate.ValidationError as error:
                wrong.append(f"{file}: {error.message}")
            named[manifest["kind"], manifest["metadata"]["name"]] = manifest

    def spec(kind, name="readdress"):
        return named[kind, name]["spec"]

    sources = []
    for kind, name in [("Deployment", "readdress"), ("Job", "readdress-migrate")]:
        for container in containers(named[kind, name]):
            image = container["image"]
            expect(image == f"readdress:{version}", f"{kind}: {image} is not version {version}")
            sources.append(container["envFrom"])
    expect(sources[0] == sources[1], "the Job has other variables than the Deployment")
    deployment = spec("Deployment")
    labels = deployment["template"]["metadata"]["labels"]
    for what, selector in [
        ("the Service", spec("Service")["selector"]),
        ("the Service of the metrics", spec("Service", "readdress-metrics")["selector"]),
        ("the PodDisruptionBudget", spec("PodDisruptionBudget")["selector"]["matchLabels"]),
        ("the NetworkPolicy", spec("NetworkPolicy")["podSelector"]["matchLabels"]),
    ]:
        expect(selector.items() <= labels.items(), f"{what} does not select the pods")
    container = deployment["template"]["spec"]["containers"][0]
    for probe, path in [("liveness", "/healthz"), ("readiness", "/readyz"), ("startup", "/healthz")]:
        expect(container[f"{probe}Probe"]["httpGet"]["path"] == path, f"the {probe} probe asks {path}")
    budget = spec("PodDisruptionBudget")["minAvailable"]
    expect(budget < deployment["replicas"], "the budget lets a node be drained")
    return len(named)


def main():
    cargo = (ROOT / "Cargo.toml").read_text()
    version = re.search(r'^version = "(.+)"', cargo, re.MULTILINE)[1]
    count = manifests(version)
    compose = (ROOT / "compose.yaml").read_text()
    expect(f"image: readdress:{version}\n" in compose, f"compose.yaml is not of version {version}")
    known = variables()
    files = [ROOT / "compose.yaml", *sorted((ROOT / "deploy").rglob("*.*"))]
    for file in files:
        for name in re.findall(r"READDRESS_\w+", file.read_text()):
            expect(name in known, f"{file.relative_to(ROOT)} names {name}")
    for line in wrong:
        print(f"  {line}", file=sys.stderr)
    if wrong:
        sys.exit("What is in deploy/ is not good.")
    print(f"{count} manifests are valid, strictly, and run without privileges.")


main()
