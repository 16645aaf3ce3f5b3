# A container-image function: `make image ARCH=x86_64|arm64`. The context is a package's folder, so image and zip have
# the same files. lib/ and model/ are beside the binary, where it looks for them.
ARG ARCH=x86_64
FROM public.ecr.aws/lambda/provided:al2023-${ARCH}
COPY . /var/runtime/
# The base image's entry point starts /var/runtime/bootstrap; outside of Lambda it starts it under the emulator.
CMD ["bootstrap"]
