"""The template's promises about security and cost, checked on SAM's translation of it."""

from __future__ import annotations

import functools
import itertools
import json
import re
import subprocess
import unittest
from collections.abc import Iterator
from typing import Any

from tests.sam.template import BUILT, ROOT, SOURCE, Template

JWT = {"JwtIssuer": "https://issuer.example", "JwtAudience": "embedders"}
AUTHS: dict[str, dict[str, str]] = {"IAM": {}, "JWT": JWT, "API_KEY": {}, "NONE": {}}
EVERYTHING = {
    "ModelBucket": "models-example",
    "Tracing": "Active",
    "Alarms": "true",
    "FunctionUrl": "true",
    "CorsOrigins": "https://app.example",
    "ResponseStream": "true",
    "ConcurrencyLimit": 7,
    "ProvisionedConcurrency": 2,
    "Dashboard": "true",
}
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:qdrant-AbCdEf"
QDRANT = {"Sinks": "s3,qdrant", "QdrantUrl": "https://qdrant.example:6333", "QdrantApiKeySecretArn": SECRET}
S3VECTORS = {"Sinks": "s3vectors", "VectorBucketName": "vectors-example"}
KEY = "arn:aws:secretsmanager:us-east-1:123456789012:secret:key-AbCdEf"
# Two values of every parameter that may reach the function for requests, and of one that does not.
CHANGES: dict[str, tuple[Any, Any]] = {
    "Architecture": ("x86_64", "arm64"),
    "MemoryMegabytes": (1769, 3538),
    "TimeoutSeconds": (30, 60),
    "LogLevel": ("INFO", "DEBUG"),
    "Tracing": ("PassThrough", "Active"),
    "Auth": ("IAM", "API_KEY"),
    "ApiKeySecretArn": (KEY, KEY.replace("key", "other")),
    "ModelBucket": ("models", "other-models"),
    "ModelPrefix": ("bge-small-en-v1.5", "another"),
    "ModelManifestVersion": ("", "v2"),
    "ModelAliases": ("", "text-embedding-3-small"),
    "ResponseStream": ("false", "true"),
    "TokenIds": ("cl100k", "refuse"),
    "OutputPrefix": ("vectors", "others"),
}
UNSEEN = {"OutputPrefix"}
# Variables that no parameter sets, and why not.
FIXED = "the package has it beside the program"
BY_MEMORY = "follows from the function's memory"
ENOUGH = "what it bounds has bounds of Lambda's as well; a line in template.yaml changes it"
WITHOUT_PARAMETER = {
    "EMBED_MODEL_DIR": FIXED,
    "EMBED_CACHE_DIR": FIXED,
    "EMBED_ORT_LIB": FIXED,
    "EMBED_PDFIUM_LIB": FIXED,
    "EMBED_KERNELS": "for comparison and doubt; a package has the standard graph only if it was asked for",
    "EMBED_THREADS": BY_MEMORY,
    "EMBED_MAX_CALLS": "an instance has one call at a time",
    **dict.fromkeys(("EMBED_MAX_TEXTS", "EMBED_MAX_TOKENS", "EMBED_MAX_BODY_BYTES"), ENOUGH),
    **dict.fromkeys(("EMBED_MAX_RESPONSE_BYTES", "EMBED_MAX_STREAM_BYTES"), ENOUGH),
    **dict.fromkeys(("EMBED_MAX_OBJECT_BYTES", "EMBED_MAX_UNPACKED_BYTES", "EMBED_MAX_RECORD_BYTES"), ENOUGH),
    "EMBED_BASE_PATH": "the template has no custom domain",
    "EMBED_CORS_ORIGINS": "the HTTP API and the Function URL add these headers; twice is an error to browsers",
    "EMBED_REQUEST_PAYER": "documents come out of the stack's own bucket",
    "EMBED_LOG": "LogLevel sets it by way of Lambda",
    "EMBED_SERVICE": "the function's name, by which alarms and dashboard find its metrics",
    "EMBED_METRICS_NAMESPACE": "alarms and dashboard read it",
}
# AWS's service authorization reference: X-Ray's two permissions have no narrower resource.
WITHOUT_RESOURCES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
# Resources that are billed by the hour or month, used or not.
COSTS_IDLE = {
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::EC2::NatGateway",
    "AWS::EC2::VPCEndpoint",
    "AWS::KMS::Key",
    "AWS::SecretsManager::Secret",
}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@functools.cache
def variants() -> list[tuple[str, Template]]:
    """Every kind of authentication, plain and with all options, and every store; source template and built one."""
    built = BUILT.is_file() and BUILT.stat().st_mtime >= SOURCE.stat().st_mtime
    paths = [SOURCE, *([BUILT] if built else [])]
    made = []
    for path, (auth, more), extra in itertools.product(paths, AUTHS.items(), ({}, EVERYTHING)):
        name = f"{path.parent.name}, {auth}{', everything' if extra else ''}"
        made.append((name, Template(path, Auth=auth, **more, **extra)))
    for path, store in itertools.product(paths, (QDRANT, S3VECTORS)):
        made.append((f"{path.parent.name}, {store['Sinks']}", Template(path, **store)))
    return made


def policies(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every policy statement of the stack's roles."""
    for name, role in template.of_type("AWS::IAM::Role").items():
        for policy in role["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement


def wildcards(resource: Any) -> bool:
    """Whether a statement's resource covers more than the things below a name that it states."""
    text = resource["Fn::Sub"] if isinstance(resource, dict) and "Fn::Sub" in resource else resource
    if not isinstance(text, str):
        return False
    whole, below = text.rstrip("*"), text.endswith("*")
    # The part before the star: `${Bucket.Arn}/prefix/` and `${DocumentBucket.Arn}/${DocumentPrefix}` are names.
    named = re.search(r"\$\{[A-Za-z]+(\.Arn)?\}/(\$\{[A-Za-z]+\}/?)?$", whole)
    return "*" in whole or (below and not named)


class Security(unittest.TestCase):
    def each(self) -> Iterator[Template]:
        for name, template in variants():
            with self.subTest(name):
                yield template

    def test_every_permission_names_its_resource_and_action(self) -> None:
        for template in self.each():
            self.assertTrue(list(policies(template)))
            for role, statement in policies(template):
                actions = listed(statement["Action"])
                self.assertFalse([a for a in actions if "*" in a], role)
                for resource in listed(statement["Resource"]):
                    if resource == "*":
                        self.assertLessEqual(set(actions), WITHOUT_RESOURCES, role)
                    else:
                        self.assertFalse(wildcards(resource), f"{role}: {resource}")

    def test_roles_are_our_own_and_lambdas_alone(self) -> None:
        for template in self.each():
            roles = template.of_type("AWS::IAM::Role")
            self.assertEqual(set(roles), {"EmbedRole", "DocumentRole"})
            # No other resource gives rights.
            other = {n for n, r in template.resources.items() if r["Type"].startswith("AWS::IAM::")} - set(roles)
            self.assertFalse(other)
            for role in roles.values():
                self.assertNotIn("ManagedPolicyArns", role)
                (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
                self.assertEqual(statement["Principal"], {"Service": "lambda.amazonaws.com"})

    def test_only_the_keys_are_secrets_that_are_read(self) -> None:
        for template in self.each():
            reads = {r: s["Resource"] for r, s in policies(template) if "secretsmanager:GetSecretValue" in listed(s["Action"])}
            wanted = {"EmbedRole"} if template.parameters["Auth"] == "API_KEY" else set()
            if template.parameters["QdrantApiKeySecretArn"]:
                wanted.add("DocumentRole")
                self.assertEqual(reads["DocumentRole"], SECRET)
            self.assertEqual(set(reads), wanted)

    def test_only_the_named_index_of_s3_vectors_is_opened_and_only_to_documents(self) -> None:
        for template in self.each():
            opened = [(r, s) for r, s in policies(template) if "s3vectors:" in json.dumps(s["Action"])]
            self.assertEqual([r for r, _ in opened], ["DocumentRole"] if template.parameters["Sinks"] == "s3vectors" else [])
            for _, statement in opened:
                self.assertTrue(statement["Resource"]["Fn::Sub"].endswith(":bucket/${VectorBucketName}/index/${VectorIndexName}"))

    def test_buckets_are_private_encrypted_and_tls_only(self) -> None:
        for template in self.each():
            buckets = template.of_type("AWS::S3::Bucket")
            self.assertEqual(set(buckets), {"DocumentBucket", "VectorBucket"})
            for bucket in buckets.values():
                self.assertEqual(set(bucket["PublicAccessBlockConfiguration"].values()), {True})
                self.assertEqual(len(bucket["PublicAccessBlockConfiguration"]), 4)
                (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
                self.assertEqual(rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"], "AES256")
                self.assertEqual(bucket["OwnershipControls"]["Rules"], [{"ObjectOwnership": "BucketOwnerEnforced"}])
            self.assertEqual(self.denied_without_tls(template, "AWS::S3::BucketPolicy", "Bucket", "s3:*"), set(buckets))
            for policy in template.of_type("AWS::S3::BucketPolicy").values():
                (statement,) = policy["PolicyDocument"]["Statement"]
                bucket = policy["Bucket"]["Ref"]
                whole = [{"Fn::GetAtt": [bucket, "Arn"]}, {"Fn::Sub": "${" + bucket + ".Arn}/*"}]
                self.assertEqual(statement["Resource"], whole)

    def test_queues_are_encrypted_and_tls_only(self) -> None:
        for template in self.each():
            queues = template.of_type("AWS::SQS::Queue")
            for queue in queues.values():
                self.assertTrue(queue["SqsManagedSseEnabled"])
            denied = self.denied_without_tls(template, "AWS::SQS::QueuePolicy", "Queues", "sqs:*")
            self.assertEqual(denied, set(queues))

    def denied_without_tls(self, template: Template, type: str, names: str, action: str) -> set[str]:
        found = set()
        for policy in template.of_type(type).values():
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Deny":
                    self.assertEqual(statement["Action"], action)
                    self.assertEqual(statement["Condition"], {"Bool": {"aws:SecureTransport": "false"}})
                    self.assertEqual(statement["Principal"], "*")
                    found.update(reference["Ref"] for reference in listed(policy[names]))
        return found

    def test_only_our_bucket_may_send_to_the_queue(self) -> None:
        for template in self.each():
            allowed = [
                statement
                for policy in template.of_type("AWS::SQS::QueuePolicy").values()
                for statement in policy["PolicyDocument"]["Statement"]
                if statement["Effect"] == "Allow"
            ]
            (statement,) = allowed
            self.assertEqual(statement["Principal"], {"Service": "s3.amazonaws.com"})
            source = statement["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"]
            bucket = template.resources["DocumentBucket"]["Properties"]["BucketName"]["Fn::Sub"]
            self.assertEqual(source[0], "arn:${AWS::Partition}:s3:::" + bucket[0])
            self.assertEqual(source[1], bucket[1])

    def test_every_route_is_authorized_unless_auth_is_none(self) -> None:
        wanted = {"IAM": "AWS_IAM", "JWT": "JWT", "API_KEY": "NONE", "NONE": "NONE"}
        for template in self.each():
            auth = template.parameters["Auth"]
            routes = template.of_type("AWS::ApiGatewayV2::Route")
            # A browser's preflight request has no authorization; an OPTIONS request never gets vectors.
            preflight = routes.pop("PreflightRoute", None)
            self.assertEqual(preflight is not None, bool(template.parameters["CorsOrigins"]))
            if preflight:
                self.assertEqual((preflight["RouteKey"], preflight["AuthorizationType"]), ("OPTIONS /{proxy+}", "NONE"))
            self.assertEqual(set(routes), {"EmbedRoute"})
            for route in routes.values():
                self.assertEqual(route["RouteKey"], "$default")
                self.assertEqual(route["AuthorizationType"], wanted[auth])
                self.assertEqual("AuthorizerId" in route, auth == "JWT")
            key = template.of_type("AWS::Lambda::Function")["EmbedFunction"]["Environment"]["Variables"]["EMBED_API_KEY"]
            self.assertEqual(bool(key), auth == "API_KEY")
            self.assertEqual(template.definitions["Auth"]["Default"], "IAM")

    def test_sam_makes_no_other_api(self) -> None:
        for template in self.each():
            self.assertEqual(len(template.of_type("AWS::ApiGatewayV2::Api")), 1)
            self.assertFalse([r for r in template.resources.values() if r["Type"].startswith("AWS::ApiGateway::")])

    def test_a_function_url_is_open_only_with_auth_api_key_or_none(self) -> None:
        for template in self.each():
            open_to_all = template.parameters["Auth"] in ("API_KEY", "NONE")
            for url in template.of_type("AWS::Lambda::Url").values():
                self.assertEqual(url["AuthType"], "NONE" if open_to_all else "AWS_IAM")
            public = [p for p in template.of_type("AWS::Lambda::Permission").values() if p["Principal"] == "*"]
            for permission in public:
                self.assertTrue(permission.get("FunctionUrlAuthType") == "NONE" or permission["InvokedViaFunctionUrl"])
            has_url = template.parameters["FunctionUrl"] == "true"
            self.assertEqual(len(public), 2 if open_to_all and has_url else 0)

    def test_a_rest_api_is_made_only_where_it_is_asked_for_and_streams(self) -> None:
        for auth, wanted in (("IAM", "AWS_IAM"), ("API_KEY", "NONE"), ("NONE", "NONE")):
            template = Template(Auth=auth, ResponseStream="true", RestApi="true")
            (api,) = template.of_type("AWS::ApiGateway::RestApi").values()
            methods = [path["x-amazon-apigateway-any-method"] for path in api["Body"]["paths"].values()]
            self.assertEqual(list(api["Body"]["paths"]), ["/", "/{proxy+}"])
            for method in methods:
                self.assertEqual(method["x-amazon-apigateway-auth"], {"type": wanted})
                integration = method["x-amazon-apigateway-integration"]
                self.assertEqual(integration["responseTransferMode"], "STREAM")
                self.assertTrue(json.dumps(integration["uri"]).rstrip('"}]').endswith("/response-streaming-invocations"))
            permission = template.of_type("AWS::Lambda::Permission")["StreamApiMayInvoke"]
            self.assertIn("${StreamApi}/*", json.dumps(permission["SourceArn"]))
            self.assertIn("StreamUrl", template.outputs)
        first, second = Template().whole["Rules"]["RestApiStreams"]["Assertions"]
        self.assertEqual(first["Assert"], {"Fn::Equals": [{"Ref": "ResponseStream"}, "true"]})
        self.assertIn("JWT", json.dumps(second["Assert"]))

    def test_the_function_streams_where_its_url_does(self) -> None:
        for streams in ("true", "false"):
            template = Template(FunctionUrl="true", ResponseStream=streams)
            (url,) = template.of_type("AWS::Lambda::Url").values()
            function = template.of_type("AWS::Lambda::Function")["EmbedFunction"]
            both = (url["InvokeMode"], function["Environment"]["Variables"]["EMBED_RESPONSE_STREAM"])
            self.assertEqual(both, ("RESPONSE_STREAM", "on") if streams == "true" else ("BUFFERED", "off"))

    def test_a_browsers_client_may_send_headers_of_its_own(self) -> None:
        template = Template(FunctionUrl="true", CorsOrigins="https://app.example")
        (api,) = template.of_type("AWS::ApiGatewayV2::Api").values()
        (url,) = template.of_type("AWS::Lambda::Url").values()
        for cors in (api["CorsConfiguration"], url["Cors"]):
            self.assertEqual(cors["AllowHeaders"], ["*", "authorization"])
            self.assertLessEqual({"retry-after", "x-model-id", "x-truncated"}, set(cors["ExposeHeaders"]))

    def test_failed_documents_go_to_the_dead_letter_queue(self) -> None:
        for template in self.each():
            queue = template.of_type("AWS::SQS::Queue")["DocumentQueue"]
            target = queue["RedrivePolicy"]["deadLetterTargetArn"]
            self.assertEqual(target, {"Fn::GetAtt": ["FailedDocuments", "Arn"]})
            # AWS advises at least five, so that throttling alone sends nothing to the dead-letter queue.
            self.assertEqual(queue["RedrivePolicy"]["maxReceiveCount"], 5)
            (source,) = template.of_type("AWS::Lambda::EventSourceMapping").values()
            self.assertEqual(source["EventSourceArn"], {"Fn::GetAtt": ["DocumentQueue", "Arn"]})
            self.assertEqual(source["FunctionResponseTypes"], ["ReportBatchItemFailures"])

    def test_a_message_stays_hidden_six_times_the_functions_timeout(self) -> None:
        for seconds in Template().definitions["DocumentTimeoutSeconds"]["AllowedValues"]:
            template = Template(DocumentTimeoutSeconds=seconds)
            hidden = template.of_type("AWS::SQS::Queue")["DocumentQueue"]["VisibilityTimeout"]
            timeout = template.of_type("AWS::Lambda::Function")["DocumentFunction"]["Timeout"]
            self.assertGreaterEqual(int(hidden), 6 * int(timeout))

    def test_logs_expire(self) -> None:
        for template in self.each():
            groups = template.of_type("AWS::Logs::LogGroup")
            self.assertTrue(all(group["RetentionInDays"] for group in groups.values()))
            for function in template.of_type("AWS::Lambda::Function").values():
                self.assertIn(function["LoggingConfig"]["LogGroup"]["Ref"], groups)


class Choices(unittest.TestCase):
    def test_defaults_cost_nothing_while_idle(self) -> None:
        template = Template()
        self.assertFalse([n for n, r in template.resources.items() if r["Type"] in COSTS_IDLE])
        for alias in template.of_type("AWS::Lambda::Alias").values():
            self.assertNotIn("ProvisionedConcurrencyConfig", alias)
        everything = {r["Type"] for r in Template(Auth="API_KEY", **EVERYTHING).resources.values()}
        costly = {"AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::SecretsManager::Secret"}
        self.assertLessEqual(costly, everything)

    def test_every_parameter_is_described_and_bounded(self) -> None:
        template = Template()
        grouped = itertools.chain.from_iterable(
            group["Parameters"] for group in template.whole["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        )
        self.assertEqual(set(grouped), set(template.definitions))
        for name, parameter in template.definitions.items():
            self.assertIn("Default", parameter, name)
            self.assertGreater(len(parameter["Description"]), 20, name)
            self.assertTrue({"AllowedValues", "AllowedPattern", "MinValue"} & set(parameter), name)

    def test_documents_can_be_left_out_whole(self) -> None:
        template = Template(Documents="false", Alarms="true", Tracing="Active")
        left = {r["Type"] for r in template.resources.values()}
        self.assertFalse({t for t in left if t.startswith(("AWS::S3::", "AWS::SQS::"))})
        self.assertEqual(set(template.of_type("AWS::Lambda::Function")), {"EmbedFunction"})
        existing = {f'"{name}"' for name in template.resources}
        for name, resource in template.resources.items():
            for reference in re.findall(r'"(?:Ref|Fn::GetAtt)": (?:\[)?("[A-Za-z]+")', json.dumps(resource)):
                self.assertTrue(reference in existing or reference.strip('"') in template.parameters, f"{name}: {reference}")

    def test_alarms_watch_errors_throttles_failures_failed_documents_and_latency(self) -> None:
        requests, documents = ("FunctionName", {"Ref": "EmbedFunction"}), ("FunctionName", {"Ref": "DocumentFunction"})
        failed = ("QueueName", {"Fn::GetAtt": ["FailedDocuments", "QueueName"]})
        unfinished = ("service", {"Ref": "DocumentFunction"})
        wanted = {
            "RequestErrorAlarm": ("AWS/Lambda", "Errors", requests, "Sum", 0),
            "RequestThrottleAlarm": ("AWS/Lambda", "Throttles", requests, "Sum", 0),
            "RequestLatencyAlarm": ("AWS/Lambda", "Duration", requests, "p99", 250),
            "RequestFailureAlarm": ("AWS/ApiGateway", "5xx", ("ApiId", {"Ref": "EmbedApi"}), "Sum", 0),
            "UrlFailureAlarm": ("AWS/Lambda", "Url5xxCount", requests, "Sum", 0),
            "RestApiFailureAlarm": ("AWS/ApiGateway", "5XXError", ("ApiName", {"Fn::Sub": "${AWS::StackName}-stream"}), "Sum", 0),
            "BrokenStreamAlarm": ("LambdaEmbed", "StreamsBroken", ("service", {"Ref": "EmbedFunction"}), "Sum", 0),
            "DocumentErrorAlarm": ("AWS/Lambda", "Errors", documents, "Sum", 0),
            "DocumentThrottleAlarm": ("AWS/Lambda", "Throttles", documents, "Sum", 0),
            "UnreadableDocumentAlarm": ("LambdaEmbed", "DocumentsUnreadable", ("service", {"Ref": "DocumentFunction"}), "Sum", 0),
            "FailedDocumentAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", failed, "Maximum", 0),
            "UnfinishedDocumentAlarm": ("LambdaEmbed", "DocumentsUnfinished", unfinished, "Sum", 0),
        }
        topic = "arn:aws:sns:us-east-1:123456789012:alarms"
        choices = {"Alarms": "true", "AlarmTopicArn": topic, "AlarmLatencyMilliseconds": 250}
        doors = {"ResponseStream": "true", "FunctionUrl": "true", "RestApi": "true"}
        of_doors = {"BrokenStreamAlarm", "UrlFailureAlarm", "RestApiFailureAlarm"}
        self.assertFalse(of_doors & set(Template(**choices).resources))
        alarms = Template(**choices, **doors).of_type("AWS::CloudWatch::Alarm")
        found = {}
        for name, alarm in alarms.items():
            ((dimension, value),) = (d.values() for d in alarm["Dimensions"])
            statistic = alarm.get("Statistic") or alarm["ExtendedStatistic"]
            found[name] = (alarm["Namespace"], alarm["MetricName"], (dimension, value), statistic, alarm["Threshold"])
            self.assertEqual((alarm["AlarmActions"], alarm["OKActions"]), ([topic], [topic]))
            self.assertEqual(alarm["ComparisonOperator"], "GreaterThanThreshold")
        self.assertEqual(found, wanted)
        explained = set(re.findall(r"^\| `([A-Za-z]+Alarm)`", (ROOT / "docs/operations.md").read_text(), re.MULTILINE))
        self.assertEqual(explained, set(wanted))

    def test_a_parameter_that_changes_the_function_makes_a_new_version(self) -> None:
        """CloudFormation replaces a version whose description changes, and refuses one of an unchanged function."""

        def made(**parameters: Any) -> tuple[str, dict[str, Any]]:
            template = Template(**{"Auth": "API_KEY", "ApiKeySecretArn": KEY, "ModelBucket": "models", **parameters})
            (version,) = template.of_type("AWS::Lambda::Version").values()
            function = template.of_type("AWS::Lambda::Function")["EmbedFunction"]
            return text(version["Description"]), json.loads(text(function))

        def text(value: Any) -> str:
            """The text with parameters in place of references, as CloudFormation fills it in."""
            return re.sub(r"\$\{([A-Za-z]+)\}", lambda name: str(parameters_now.get(name[1], name[0])), json.dumps(value))

        for name, (one, other) in CHANGES.items():
            with self.subTest(name):
                parameters_now = {"ModelBucket": "models", "ModelPrefix": "bge-small-en-v1.5", name: one}
                before = made(**{name: one})
                parameters_now = {"ModelBucket": "models", "ModelPrefix": "bge-small-en-v1.5", name: other}
                after = made(**{name: other})
                self.assertEqual(before[0] == after[0], before[1] == after[1])
                self.assertEqual(before[0] != after[0], name not in UNSEEN)

    def test_a_versions_description_fits_into_256_characters(self) -> None:
        definitions = Template().definitions
        longest = {n: max(len(str(v)) for v in d["AllowedValues"]) for n, d in definitions.items() if "AllowedValues" in d}
        longest |= {name: len(str(definitions[name]["MaxValue"])) for name in ("MemoryMegabytes", "TimeoutSeconds")}
        longest |= {name: definitions[name]["MaxLength"] for name in ("ModelPrefix", "ModelManifestVersion", "ModelAliases")}
        (secret,) = re.findall(r"\[\^:\]\{1,(\d+)\}", definitions["ApiKeySecretArn"]["AllowedPattern"])
        (longest["ModelBucket"],) = (2 + int(n) for n in re.findall(r"\{1,(\d+)\}", definitions["ModelBucket"]["AllowedPattern"]))
        named = ["Architecture", "MemoryMegabytes", "TimeoutSeconds", "LogLevel"]
        named += ["ModelBucket", "ModelPrefix", "ModelManifestVersion", "ModelAliases"]
        words = [longest[name] for name in named] + [len("tsr"), int(secret)]
        self.assertLessEqual(sum(words) + len(words) - 1, 256)
        (version,) = Template(ModelBucket="models").of_type("AWS::Lambda::Version").values()
        separator, parts = version["Description"]["Fn::Join"]
        # The model's bucket, prefix and version are one part.
        self.assertEqual((separator, len(parts)), (" ", len(words) - 2))

    def test_a_model_comes_from_the_package_or_from_its_bucket(self) -> None:
        def variable(template: Template) -> Any:
            functions = template.of_type("AWS::Lambda::Function").values()
            (found,) = {json.dumps(f["Environment"]["Variables"]["EMBED_MODEL_S3"]) for f in functions}
            return found

        self.assertEqual(variable(Template()), '""')
        self.assertIn("s3://${ModelBucket}/${ModelPrefix}", variable(Template(ModelBucket="models")))
        self.assertIn("?versionId=", variable(Template(ModelBucket="models", ModelManifestVersion="v1")))

    def test_a_store_is_named_with_its_own_variables_and_no_others(self) -> None:
        def variables(**parameters: str) -> dict[str, Any]:
            found = Template(**parameters).of_type("AWS::Lambda::Function")["DocumentFunction"]["Environment"]["Variables"]
            return {n: v for n, v in found.items() if n.startswith(("EMBED_SINK", "EMBED_QDRANT", "EMBED_S3VECTORS")) and v}

        self.assertEqual(variables(QdrantUrl="http://q:6333", VectorBucketName="vectors"), {"EMBED_SINK": "s3"})
        qdrant = {"URL": QDRANT["QdrantUrl"], "COLLECTION": "documents", "HYBRID": "off", "API_KEY": SECRET}
        self.assertEqual(
            variables(**QDRANT), {"EMBED_SINK": "s3,qdrant"} | {f"EMBED_QDRANT_{n}": v for n, v in qdrant.items()}
        )
        named = variables(**QDRANT, QdrantHybrid="on", QdrantDenseVector="unnamed")
        self.assertEqual(named["EMBED_QDRANT_DENSE_VECTOR"], "unnamed")
        self.assertEqual(named["EMBED_QDRANT_SPARSE_VECTOR"], "bm25")
        s3vectors = {"BUCKET": "vectors-example", "INDEX": "documents"}
        self.assertEqual(
            variables(**S3VECTORS), {"EMBED_SINK": "s3vectors"} | {f"EMBED_S3VECTORS_{n}": v for n, v in s3vectors.items()}
        )

    def test_a_store_without_its_place_is_refused(self) -> None:
        rules = Template().whole["Rules"]
        for rule, sinks, parameter in (
            ("QdrantHasAnAddress", ["qdrant", "s3,qdrant"], "QdrantUrl"),
            ("S3VectorsHasABucket", ["s3vectors", "s3,s3vectors"], "VectorBucketName"),
        ):
            self.assertEqual(rules[rule]["RuleCondition"], {"Fn::Contains": [sinks, {"Ref": "Sinks"}]})
            (assertion,) = rules[rule]["Assertions"]
            self.assertEqual(assertion["Assert"], {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, ""]}]})

    def test_a_model_in_the_package_is_not_hashed_at_every_start(self) -> None:
        for function in Template().of_type("AWS::Lambda::Function").values():
            self.assertEqual(function["Environment"]["Variables"]["EMBED_VERIFY"], "sizes")

    def test_every_variable_of_the_program_has_a_parameter_or_a_reason_why_not(self) -> None:
        known = set(re.findall(r"^\| `(EMBED_[A-Z_0-9]+)`", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE))
        functions = Template().of_type("AWS::Lambda::Function").values()
        stated = {name for function in functions for name in function["Environment"]["Variables"]}
        self.assertEqual(stated | set(WITHOUT_PARAMETER), known)
        self.assertFalse(stated & set(WITHOUT_PARAMETER))

    def test_how_documents_are_read_and_written_is_left_to_the_program_unless_it_is_stated(self) -> None:
        def variables(**parameters: str) -> dict[str, Any]:
            return Template(**parameters).of_type("AWS::Lambda::Function")["DocumentFunction"]["Environment"]["Variables"]

        for parameter, variable, value in (
            ("ChunkTokens", "EMBED_CHUNK_TOKENS", "200"),
            ("ChunkOverlap", "EMBED_CHUNK_OVERLAP", "0"),
            ("JsonPointer", "EMBED_JSON_POINTER", "/body/text"),
            ("CsvColumn", "EMBED_CSV_COLUMN", "text"),
            ("MaxWholeBytes", "EMBED_MAX_WHOLE_BYTES", "67108864"),
            ("MaxPdfMemoryBytes", "EMBED_MAX_PDF_MEMORY_BYTES", "536870912"),
            ("HtmlBoilerplate", "EMBED_HTML_BOILERPLATE", "off"),
            ("OutputText", "EMBED_OUTPUT_TEXT", "off"),
            ("OutputVectors", "EMBED_OUTPUT_VECTORS", "base64"),
            ("OutputMetadata", "EMBED_METADATA", "off"),
            ("DocumentVector", "EMBED_DOCUMENT_VECTOR", "on"),
        ):
            changed = {name for name, found in variables(**{parameter: value}).items() if found == value}
            self.assertEqual(changed - {name for name, found in variables().items() if found == value}, {variable})
            default = Template().definitions[parameter]["Default"]
            written = re.search(rf"^\| `{variable}` \| ([^|]+) \|", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE)
            assert written
            self.assertIn(default, ("", written[1]), parameter)

    def test_outputs_give_the_url_and_three_commands(self) -> None:
        for auth, more in AUTHS.items():
            outputs = Template(Auth=auth, **more).outputs
            self.assertIn("Url", outputs)
            commands = [json.dumps(outputs[name]["Value"]) for name in ("TryInvoke", "TryHttp", "TryDocument")]
            self.assertIn("aws lambda invoke", commands[0])
            self.assertIn("curl", commands[1])
            self.assertEqual("--aws-sigv4" in commands[1], auth == "IAM")
            self.assertEqual("Bearer" in commands[1], auth in ("JWT", "API_KEY"))
            self.assertEqual("$" + "{!AWS_SESSION_TOKEN:+" in commands[1], auth == "IAM")
            self.assertIn("aws s3 cp", commands[2])


    def test_a_request_is_signed_with_a_token_only_where_there_is_one(self) -> None:
        command = Template().outputs["TryHttp"]["Value"]["Fn::Sub"]
        command = re.sub(r"\$\{([A-Z][A-Za-z:.]+)\}", "x", command).replace("$" + "{!", "$" + "{").replace("curl", "printf '%s\n'", 1)
        for token, wanted in (("", []), ("a/b+c=", ["-Hx-amz-security-token:a/b+c="])):
            variables = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "s+/=", "AWS_SESSION_TOKEN": token}
            sent = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, env=variables).stdout
            words = sent.splitlines()
            self.assertIn("id:s+/=", words)
            self.assertEqual([word for word in words if "token" in word or not word], wanted)
            self.assertEqual(json.loads(words[-1]), {"input": ["where is my order?"]})


if __name__ == "__main__":
    unittest.main()
