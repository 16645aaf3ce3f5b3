# A container-image function: `make image ARCH=x86_64|arm64`. The context is a package's folder, so that image
# and zip hold the same files. Beside the binary lie lib/ and model/, where it looks for them.
ARG ARCH=x86_64
FROM public.ecr.aws/lambda/provided:al2023-${ARCH}
COPY . /var/runtime/
# The base image's entry point starts /var/runtime/bootstrap, under the emulator where there is no Lambda.
CMD ["bootstrap"]
